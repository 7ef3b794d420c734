// The gateway: a WebSocket API with one stage, where browsers come in and updates go out.
// Owns: how a message finds its route, who asks whom before a browser is let in, the stage, the addresses of both sides.
// Must not know: what a function does with a message.
// Source: facts/api-gateway-websocket.md, sections 2 and 3.
import { type CfnElement, Stack, Validations } from 'aws-cdk-lib';
import {
  CfnIntegrationResponse,
  type IWebSocketRouteAuthorizer,
  type ThrottleSettings,
  WebSocketApi,
  type WebSocketIntegration,
  type WebSocketRoute,
  type WebSocketRouteIntegration,
  WebSocketStage,
} from 'aws-cdk-lib/aws-apigatewayv2';
import { WebSocketLambdaAuthorizer } from 'aws-cdk-lib/aws-apigatewayv2-authorizers';
import { WebSocketLambdaIntegration, WebSocketMockIntegration } from 'aws-cdk-lib/aws-apigatewayv2-integrations';
import type { IFunction } from 'aws-cdk-lib/aws-lambda';
import type { RetentionDays } from 'aws-cdk-lib/aws-logs';
import { Construct } from 'constructs';
import { AccessLog } from './access-log.ts';
import type { Domain } from './domain.ts';

/** The key by which a MOCK integration's templates are chosen: any text will do. */
const READY = '200';

export interface GatewayProps {
  /** The last part of the WebSocket address. */
  readonly stageName: string;
  /** Of each route. */
  readonly throttle: ThrottleSettings;
  readonly logRetention: RetentionDays;
  /** A name of your own; without it the address is API Gateway's. */
  readonly domain?: Domain;
}

export class Gateway extends Construct {
  readonly #api: WebSocketApi;
  readonly #stage: WebSocketStage;
  readonly #domain: Domain | undefined;

  constructor(scope: Construct, id: string, { stageName, throttle, logRetention, domain }: GatewayProps) {
    super(scope, id);
    this.#api = new WebSocketApi(this, 'Api', {
      apiName: 'foldcast',
      routeSelectionExpression: '$request.body.action',
    });
    const accessLog = new AccessLog(this, 'AccessLog', logRetention);
    this.#stage = new WebSocketStage(this, 'Stage', {
      webSocketApi: this.#api,
      stageName,
      autoDeploy: true,
      throttle,
      accessLogSettings: accessLog.settings,
      ...(domain === undefined ? {} : { domainMapping: { domainName: domain } }),
    });
    this.#domain = domain;
    // A stage that deploys itself refuses an API without routes, and would open before the last of them is there.
    this.#stage.node.addDependency(this.#api, accessLog.account);
  }

  /** Where browsers connect. */
  get url(): string {
    return this.#domain?.url ?? this.#stage.url;
  }

  /** The dimensions of its metrics. */
  get dimensions(): Record<string, string> {
    return { ApiId: this.#api.apiId, Stage: this.#stage.stageName };
  }

  /** What `@connections` requests go to. It is made of the stage's name and not of the stage, which comes after the functions. */
  get managementEndpoint(): string {
    return this.#stage.callbackUrl;
  }

  /** The right to send `method` to every connection of this stage, as a resource. */
  connectionsArn(method: 'DELETE' | 'GET' | 'POST'): string {
    return Stack.of(this).formatArn({
      service: 'execute-api',
      resource: this.#api.apiId,
      resourceName: `${this.#stage.stageName}/${method}/@connections/*`,
    });
  }

  /** Says why functions with a right by `connectionsArn` have it for all connections. */
  acknowledgeAllConnections(functions: Construct, ...methods: readonly ('DELETE' | 'GET' | 'POST')[]): void {
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
    const asked = new WebSocketLambdaAuthorizer('Authorizer', authorizer, { identitySource: [] });
    this.#route('$connect', invoking(handler), false, asked);
  }

  /** Sends these routes' messages to `handler`; what it returns goes nowhere. */
  oneWay(handler: IFunction, routeKeys: readonly string[]): void {
    const integration = invoking(handler);
    for (const routeKey of routeKeys) this.#route(routeKey, integration, false);
  }

  /** Sends these routes' messages to `handler`, and what it returns back to the browser. */
  twoWay(handler: IFunction, routeKeys: readonly string[]): void {
    const integration = invoking(handler);
    for (const routeKey of routeKeys) this.#route(routeKey, integration, true);
  }

  /** Answers this route's messages without asking a function: it costs no invocation. */
  ready(routeKey: string, answer: object): void {
    const text = JSON.stringify(answer);
    // API Gateway evaluates templates: a text that says something else then is no answer that is ready.
    if (/[$#]/.test(text)) throw new Error(`the answer to ${routeKey} must have no $ and no #`);
    const route = this.#route(
      routeKey,
      new WebSocketMockIntegration('Integration', {
        requestTemplates: { [READY]: JSON.stringify({ statusCode: 200 }) },
        templateSelectionExpression: READY,
      }),
      true,
    );
    new CfnIntegrationResponse(route, 'IntegrationResponse', {
      apiId: this.#api.apiId,
      integrationId: (route.node.findChild('Integration') as WebSocketIntegration).integrationId,
      integrationResponseKey: '$default',
      responseTemplates: { [READY]: text },
      templateSelectionExpression: READY,
    });
  }

  #route(
    routeKey: string,
    integration: WebSocketRouteIntegration,
    returnResponse: boolean,
    authorizer?: IWebSocketRouteAuthorizer,
  ): WebSocketRoute {
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
    return route;
  }
}

function invoking(handler: IFunction): WebSocketLambdaIntegration {
  return new WebSocketLambdaIntegration('Integration', handler);
}
