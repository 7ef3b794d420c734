// The parameters of the template: what the operator says when it is deployed.
// Owns: their names, defaults and patterns.
// Must not know: which function reads them.
// Source: docs/security.md, "What the operator sets"; docs/deploy.md.
import { CfnParameter, Stack } from 'aws-cdk-lib';
import { Construct } from 'constructs';
import type { Access } from './access.ts';

export class Parameters extends Construct {
  readonly access: Access;
  /** The last part of the WebSocket address. */
  readonly stageName: string;

  constructor(scope: Construct, id: string) {
    super(scope, id);
    const parameter = (name: string, description: string, more: { default?: string; allowedPattern: string }): string =>
      new CfnParameter(Stack.of(this), name, { description, ...more }).valueAsString;
    this.access = {
      // None of the first four has a default: there is none that is safe for everybody.
      jwksUrl: parameter('JwksUrl', 'Where the issuer of your users\' tokens publishes its keys (JWKS).', {
        allowedPattern: 'https://.+',
      }),
      jwtIssuer: parameter('JwtIssuer', 'The issuer of your users\' tokens: their "iss", to the letter.', {
        allowedPattern: '.+',
      }),
      jwtAudience: parameter('JwtAudience', 'Whom the tokens are for: their "aud", or one of it.', {
        allowedPattern: '.+',
      }),
      allowedOrigins: [
        parameter(
          'AllowedOrigins',
          'The origins of your pages, such as https://shop.example, separated by commas; * is every page.',
          { allowedPattern: '.+' },
        ),
      ],
      redactedFields: [
        parameter('RedactedFields', 'Fields that are stored and never sent, separated by commas.', {
          default: 'stripeToken',
          allowedPattern: '.*',
        }),
      ],
      requestsPerSecond: parameter(
        'RequestsPerSecond',
        'API Gateway\'s requests a second of your account in this region, by Service Quotas: 10000, in some regions 2500.',
        { default: '10000', allowedPattern: '[1-9][0-9]{0,5}|1000000' },
      ),
      subscriptionsMax: parameter('SubscriptionsMax', 'The most orders that one connection follows, 1 to 1000.', {
        default: '100',
        allowedPattern: '[1-9][0-9]{0,2}|1000',
      }),
    };
    this.stageName = parameter('StageName', 'The last part of the WebSocket address.', {
      default: 'live',
      allowedPattern: '[A-Za-z0-9_-]{1,128}',
    });
  }
}
