// Does each message find its function, and its answer the browser?
import { strict as assert } from 'node:assert';
import { test } from 'node:test';
import { only, resources, say, template } from './synthesized.ts';

const routes = {
  $connect: { handler: 'connect', answered: false },
  $disconnect: { handler: 'disconnect', answered: false },
  subscribe: { handler: 'subscribe', answered: true },
  unsubscribe: { handler: 'subscribe', answered: true },
  history: { handler: 'subscribe', answered: true },
  // Nobody is asked: API Gateway has the answer.
  ping: { handler: undefined, answered: true },
  $default: { handler: 'subscribe', answered: true },
};

/** The handler that an integration's address leads to. */
function handler(integrationUri: unknown): string | undefined {
  return /^arn:\$\{AWS::Partition\}:apigateway:\$\{AWS::Region\}:lambda:path\/2015-03-31\/functions\/\$\{([a-z-]+)\.Arn\}\/invocations$/.exec(
    say(integrationUri),
  )?.[1];
}

test('each route leads to its function and answers where it should', () => {
  const responses = resources('AWS::ApiGatewayV2::RouteResponse').map(([, { Properties }]) => {
    assert.equal(Properties['RouteResponseKey'], '$default');
    return Properties['RouteId'].Ref;
  });
  const found = resources('AWS::ApiGatewayV2::Route').map(([id, { Properties }]) => {
    const [separator, [prefix, integration]] = Properties['Target']['Fn::Join'];
    assert.deepEqual([separator, prefix], ['', 'integrations/']);
    const { IntegrationType, IntegrationUri } = template.Resources[integration.Ref]!.Properties;
    assert.equal(IntegrationType, IntegrationUri === '' ? 'MOCK' : 'AWS_PROXY');
    // It takes both: the route's expression and a response with that key.
    const answered = Properties['RouteResponseSelectionExpression'] === '$default';
    assert.equal(responses.includes(id), answered, `${Properties['RouteKey']} has a route response`);
    return [Properties['RouteKey'], { handler: handler(IntegrationUri), answered }];
  });
  assert.deepEqual(Object.fromEntries(found), routes);
});

test('a ping is answered by API Gateway itself, whatever else the message says', () => {
  const [id, { Properties }] = resources('AWS::ApiGatewayV2::Integration').find(
    ([, { Properties }]) => Properties['IntegrationType'] === 'MOCK',
  )!;
  const { RequestTemplates, TemplateSelectionExpression } = Properties;
  assert.deepEqual([RequestTemplates, TemplateSelectionExpression], [{ 200: '{"statusCode":200}' }, '200']);
  const { ApiId: _, ...response } = only('AWS::ApiGatewayV2::IntegrationResponse').Properties;
  assert.deepEqual(response, {
    IntegrationId: { Ref: id },
    IntegrationResponseKey: '$default',
    ResponseTemplates: { 200: '{"type":"pong"}' },
    TemplateSelectionExpression: '200',
  });
});

test('the action of a message selects its route', () => {
  const { ProtocolType, RouteSelectionExpression } = only('AWS::ApiGatewayV2::Api').Properties;
  assert.deepEqual([ProtocolType, RouteSelectionExpression], ['WEBSOCKET', '$request.body.action']);
});

test('before a browser is let in, the authorizer is asked, and nobody is let in without', () => {
  const { AuthorizerType, AuthorizerUri, IdentitySource } = only('AWS::ApiGatewayV2::Authorizer').Properties;
  assert.deepEqual([AuthorizerType, handler(AuthorizerUri), IdentitySource], ['REQUEST', 'authorizer', []]);
  const [authorizerId] = resources('AWS::ApiGatewayV2::Authorizer')[0]!;
  for (const [, { Properties }] of resources('AWS::ApiGatewayV2::Route')) {
    const expected = Properties['RouteKey'] === '$connect' ? ['CUSTOM', { Ref: authorizerId }] : ['NONE', undefined];
    assert.deepEqual([Properties['AuthorizationType'], Properties['AuthorizerId']], expected);
  }
});

test('whose tokens count and which pages connect is for the operator to say', () => {
  for (const name of ['JwksUrl', 'JwtIssuer', 'JwtAudience', 'AllowedOrigins']) {
    const { Default, AllowedPattern } = template.Parameters[name];
    assert.equal(Default, undefined, name);
    assert.ok(!new RegExp(`^(?:${AllowedPattern})$`).test(''), `${name} is not empty`);
  }
  assert.ok(!new RegExp(`^(?:${template.Parameters['JwksUrl'].AllowedPattern})$`).test('http://issuer.example/keys'));
  assert.equal(template.Parameters['RedactedFields'].Default, 'stripeToken');
  assert.equal(template.Parameters['SubscriptionsMax'].Default, '100');
});

test('the access log has nothing of a query string, a header, a body or a token', () => {
  const { AccessLogSettings } = only('AWS::ApiGatewayV2::Stage').Properties;
  assert.deepEqual(JSON.parse(AccessLogSettings.Format), {
    requestId: '$context.requestId',
    requestTime: '$context.requestTime',
    eventType: '$context.eventType',
    routeKey: '$context.routeKey',
    status: '$context.status',
    connectionId: '$context.connectionId',
    sourceIp: '$context.identity.sourceIp',
    integrationLatency: '$context.integrationLatency',
    errorResponseType: '$context.error.responseType',
  });
  const log = template.Resources[AccessLogSettings.DestinationArn['Fn::GetAtt'][0]]!;
  assert.deepEqual([log.Type, log.Properties['RetentionInDays']], ['AWS::Logs::LogGroup', 14]);
});

test('the stage takes half of what an account takes', () => {
  const { DefaultRouteSettings } = only('AWS::ApiGatewayV2::Stage').Properties;
  assert.deepEqual(DefaultRouteSettings, { ThrottlingBurstLimit: 2_500, ThrottlingRateLimit: 5_000 });
});

test('the API may invoke each function by its own routes, and nobody else may', () => {
  // The feed of FaunaDB is invoked by its schedule.
  const ofGateway = resources('AWS::Lambda::Permission').filter(([, { Condition }]) => Condition === undefined);
  const found = ofGateway.map(([, { Properties }]) => {
    assert.equal(Properties['Action'], 'lambda:InvokeFunction');
    assert.equal(Properties['Principal'], 'apigateway.amazonaws.com');
    return `${say(Properties['SourceArn'])} ${say(Properties['FunctionName'])}`;
  });
  const api = 'arn:${AWS::Partition}:execute-api:${AWS::Region}:${AWS::AccountId}:${api}';
  const byRoute = Object.entries(routes)
    .filter(([, { handler }]) => handler !== undefined)
    .map(([key, { handler }]) => `${api}/*${key} \${${handler}.Arn}`);
  assert.deepEqual(found.sort(), [...byRoute, `${api}/authorizers/\${authorizer of api} \${authorizer.Arn}`].sort());
});

test('the one stage deploys itself, after all routes and their responses', () => {
  const { DependsOn = [], Properties } = only('AWS::ApiGatewayV2::Stage');
  assert.deepEqual([say(Properties['StageName']), Properties['AutoDeploy']], ['${StageName}', true]);
  for (const type of [
    'AWS::ApiGatewayV2::IntegrationResponse',
    'AWS::ApiGatewayV2::Route',
    'AWS::ApiGatewayV2::RouteResponse',
    'AWS::Lambda::Permission',
  ]) {
    for (const [id, { Condition }] of resources(type)) {
      assert.equal(DependsOn.includes(id), Condition === undefined, `the stage waits for ${id}`);
    }
  }
});

test('the outputs say where everything is', () => {
  const host = '${api}.execute-api.${AWS::Region}.${AWS::URLSuffix}';
  assert.deepEqual(
    Object.fromEntries(Object.entries(template.Outputs).map(([output, { Value }]) => [output, say(Value)])),
    {
      WebSocketUrl: `wss://${host}/\${StageName}`,
      ManagementEndpoint: `https://${host}/\${StageName}`,
      FailureQueueUrl: '${failure queue}',
      OrderStreamTable: '${order_stream}',
      OrderProjectionsTable: '${order_projections}',
      ConnectionsTable: '${connections}',
      SubscriptionsTable: '${subscriptions}',
    },
  );
});
