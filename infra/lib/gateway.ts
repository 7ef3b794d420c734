// The gateway: a WebSocket API with one stage, where browsers come in and updates go out.
// Owns: how a message finds its route, who asks whom before a browser is let in, the stage, the addresses of both sides.
// Must not know: what a function does with a message.
// Source: facts/api-gateway-websocket.md, sections 2 and 3.
import { type CfnElement, CfnParameter, Stack, Validations } from 'aws-cdk-lib';
import { type IWebSocketRouteAuthorizer, WebSocketApi, WebSocketStage } from 'aws-cdk-lib/aws-apigatewayv2';
import { WebSocketLambdaAuthorizer } from 'aws-cdk-lib/aws-apigatewayv2-authorizers';
import { WebSocketLambdaIntegration } from 'aws-cdk-lib/aws-apigatewayv2-integrations';
import type { IFunction } from 'aws-cdk-lib/aws-lambda';
import { Construct } from 'constructs';
import { AccessLog } from './access-log.ts';

/** Of each route, half of what an account has by default: a flood here leaves the account's other APIs their half. */
const THROTTLE = { rateLimit: 5_000, burstLimit: 2_500 };

export class Gateway extends Construct {
  readonly #api: WebSocketApi;
  readonly #stage: WebSocketStage;

  constructor(scope: Construct, id: string) {
    super(scope, id);
    const stageName = new CfnParameter(Stack.of(this), 'StageName', {
      description: 'The last part of the WebSocket address.',
      default: 'live',
      allowedPattern: '[A-Za-z0-9_-]{1,128}',
    });
    this.#api = new WebSocketApi(this, 'Api', {
      apiName: 'foldcast',
      routeSelectionExpression: '$request.body.action',
    });
    const accessLog = new AccessLog(this, 'AccessLog');
    this.#stage = new WebSocketStage(this, 'Stage', {
      webSocketApi: this.#api,
      stageName: stageName.valueAsString,
      autoDeploy: true,
      throttle: THROTTLE,
      accessLogSettings: accessLog.settings,
    });
    // A stage that deploys itself refuses an API without routes, and would open before the last of them is there.
    this.#stage.node.addDependency(this.#api, accessLog.account);
  }

  /** Where browsers connect. */
  get url(): string {
    return this.#stage.url;
  }

  /** What `@connections` requests go to. It is made of the stage's name and not of the stage, which comes after the functions. */
  get managementEndpoint(): string {
    return this.#stage.callbackUrl;
  }

  /** The right to send `method` to every connection of this stage, as a resource. */
  connectionsArn(method: 'DELETE' | 'POST'): string {
    return Stack.of(this).formatArn({
      service: 'execute-api',
      resource: this.#api.apiId,
      resourceName: `${this.#stage.stageName}/${method}/@connections/*`,
    });
  }

  /** Says why functions with a right by `connectionsArn` have it for all connections. */
  acknowledgeAllConnections(functions: Construct, ...methods: readonly ('DELETE' | 'POST')[]): void {
    const api = Stack.of(this).getLogicalId(this.#api.node.defaultChild as CfnElement);
    const stage = 'arn:<AWS::Partition>:execute-api:<AWS::Region>:<AWS::AccountId>';
    for (const method of methods) {
      Validations.of(functions).acknowledge({
        id: `AwsSolutions::AwsSolutions-IAM5[Resource::${stage}:<${api}>/<StageName>/${method}/@connections/*]`,
        reason: 'API Gateway makes up the id of a connection when it opens; the right is for this stage alone.',
      });
    }
  }

  /** Sends each browser that wants in to `handler`, once `authorizer` has vouched for it. */
  entrance(handler: IFunction, authorizer: IFunction): void {
    // A token may be in one of two places, so none of them is an identity source, and the authorizer is asked in any case.
    this.#route(handler, ['$connect'], false, new WebSocketLambdaAuthorizer('Authorizer', authorizer, { identitySource: [] }));
  }

  /** Sends these routes' messages to `handler`; what it returns goes nowhere. */
  oneWay(handler: IFunction, routeKeys: readonly string[]): void {
    this.#route(handler, routeKeys, false);
  }

  /** Sends these routes' messages to `handler`, and what it returns back to the browser. */
  twoWay(handler: IFunction, routeKeys: readonly string[]): void {
    this.#route(handler, routeKeys, true);
  }

  #route(
    handler: IFunction,
    routeKeys: readonly string[],
    returnResponse: boolean,
    authorizer?: IWebSocketRouteAuthorizer,
  ): void {
    const integration = new WebSocketLambdaIntegration('Integration', handler);
    for (const routeKey of routeKeys) {
      const route = this.#api.addRoute(routeKey, {
        integration,
        returnResponse,
        ...(authorizer === undefined ? {} : { authorizer }),
      });
      if (authorizer === undefined) {
        Validations.of(route).acknowledge({
          id: 'AwsSolutions::AwsSolutions-APIG4',
          reason: 'A WebSocket API takes an authorizer on $connect alone; what it says counts for the whole connection.',
        });
      }
    }
  }
}
