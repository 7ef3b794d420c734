// The gateway: a WebSocket API with one stage, where browsers come in and updates go out.
// Owns: how a message finds its route, the stage, the addresses of both sides.
// Must not know: what a function does with a message.
// Source: facts/api-gateway-websocket.md, sections 2 and 3.
import { CfnParameter, Stack } from 'aws-cdk-lib';
import { WebSocketApi, WebSocketStage } from 'aws-cdk-lib/aws-apigatewayv2';
import { WebSocketLambdaIntegration } from 'aws-cdk-lib/aws-apigatewayv2-integrations';
import type { IFunction } from 'aws-cdk-lib/aws-lambda';
import { Construct } from 'constructs';

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
    this.#stage = new WebSocketStage(this, 'Stage', {
      webSocketApi: this.#api,
      stageName: stageName.valueAsString,
      autoDeploy: true,
    });
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

  /** Sends these routes' messages to `handler`; what it returns goes nowhere. */
  oneWay(handler: IFunction, routeKeys: readonly string[]): void {
    this.#route(handler, routeKeys, false);
  }

  /** Sends these routes' messages to `handler`, and what it returns back to the browser. */
  twoWay(handler: IFunction, routeKeys: readonly string[]): void {
    this.#route(handler, routeKeys, true);
  }

  #route(handler: IFunction, routeKeys: readonly string[], returnResponse: boolean): void {
    const integration = new WebSocketLambdaIntegration('Integration', handler);
    for (const routeKey of routeKeys) {
      const route = this.#api.addRoute(routeKey, { integration, returnResponse });
      // A stage that deploys itself refuses an API without routes, and would open before the last of them is there.
      this.#stage.node.addDependency(route);
    }
  }
}
