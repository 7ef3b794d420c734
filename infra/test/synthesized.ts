// The synthesized template, and how the tests read it: by our names in the place of logical ids.
// Owns: nothing; a new reading for each test process.
// Must not know: how the constructs in lib/ are cut.
// Source: lib/template.ts.
import { strict as assert } from 'node:assert';
import { templateText } from '../lib/template.ts';

export interface Resource {
  readonly Type: string;
  // The shape is CloudFormation's, and a wrong guess at it fails the test that made it.
  readonly Properties: Record<string, any>;
  readonly Condition?: string;
  readonly DependsOn?: readonly string[];
  readonly DeletionPolicy?: string;
  readonly UpdateReplacePolicy?: string;
}

export const text: string = templateText();

export const template: {
  readonly Parameters: Record<string, any>;
  readonly Resources: Record<string, Resource>;
  readonly Outputs: Record<string, { Value: unknown }>;
} = JSON.parse(text);

/** The resources of a type by logical id. */
export function resources(type: string): [string, Resource][] {
  return Object.entries(template.Resources).filter(([, resource]) => resource.Type === type);
}

/** The queue of this name. */
export function queue(wanted: 'failure queue' | 'order queue' | 'page queue'): Resource {
  const found = resources('AWS::SQS::Queue').filter(([id]) => name(id) === wanted);
  assert.equal(found.length, 1, wanted);
  return found[0]![1];
}

/** The mapping from this source to the function with this handler. */
export function mapping(source: string, handler: string): Resource {
  const found = resources('AWS::Lambda::EventSourceMapping').filter(
    ([, { Properties }]) =>
      say(Properties['EventSourceArn']) === source && say(Properties['FunctionName']) === `\${${handler}}`,
  );
  assert.equal(found.length, 1, `one mapping from ${source} to ${handler}`);
  return found[0]![1];
}

/** The one resource of a type. */
export function only(type: string): Resource {
  const found = resources(type);
  assert.equal(found.length, 1, `one ${type}`);
  return found[0]![1];
}

export function table(name: string): Resource {
  const found = resources('AWS::DynamoDB::Table').find(([, { Properties }]) => Properties['TableName'] === name);
  assert.ok(found, `a table ${name}`);
  return found[1];
}

/** The functions by handler, which is the name of their crate. */
export function functions(): Map<string, Resource> {
  return new Map(
    resources('AWS::Lambda::Function').map(([, resource]): [string, Resource] => [
      resource.Properties['Handler'],
      resource,
    ]),
  );
}

/** The role of a function. */
export function role(lambda: Resource): Resource {
  const [id, attribute] = lambda.Properties['Role']['Fn::GetAtt'];
  assert.equal(attribute, 'Arn');
  const found = template.Resources[id];
  assert.ok(found, `a role ${id}`);
  return found;
}

/** The rights of a function, each as `action on resource`, sorted. */
export function rights(lambda: Resource): string[] {
  return role(lambda)
    .Properties['Policies'].flatMap((policy: any) => policy.PolicyDocument.Statement)
    .flatMap((statement: any) => {
      assert.equal(statement.Effect, 'Allow');
      assert.deepEqual(Object.keys(statement).sort(), ['Action', 'Effect', 'Resource']);
      return [statement.Action]
        .flat()
        .flatMap((action) => [statement.Resource].flat().map((resource) => `${action} on ${say(resource)}`));
    })
    .sort();
}

/** A value in words: `{"Fn::GetAtt": ["EventLog9136F25F", "Arn"]}` is `${order_stream.Arn}`. */
export function say(value: any): string {
  if (typeof value === 'string') return value;
  if ('Ref' in value) return `\${${name(value.Ref)}}`;
  if ('Fn::GetAtt' in value) return `\${${name(value['Fn::GetAtt'][0])}.${value['Fn::GetAtt'][1]}}`;
  assert.ok('Fn::Join' in value, JSON.stringify(value));
  const [separator, parts] = value['Fn::Join'];
  return parts.map(say).join(separator);
}

function name(id: string): string {
  const resource = template.Resources[id];
  if (resource === undefined) return id;
  switch (resource.Type) {
    case 'AWS::DynamoDB::Table':
      return resource.Properties['TableName'];
    case 'AWS::Lambda::Function':
      return resource.Properties['Handler'];
    case 'AWS::Logs::LogGroup': {
      const owner = resources('AWS::Lambda::Function').find(
        ([, { Properties }]) => Properties['LoggingConfig'].LogGroup.Ref === id,
      );
      assert.ok(owner, `a function that writes ${id}`);
      return `log of ${owner[1].Properties['Handler']}`;
    }
    case 'AWS::ApiGatewayV2::Authorizer':
      return 'authorizer of api';
    case 'AWS::ApiGatewayV2::Api':
      return 'api';
    case 'AWS::SQS::Queue':
      if (resource.Properties['RedrivePolicy'] === undefined) return 'failure queue';
      return id.includes('OrderQueue') ? 'order queue' : 'page queue';
    default:
      throw new Error(`${id} is a ${resource.Type}, which has no name in the tests`);
  }
}
