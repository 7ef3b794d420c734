// Who may see what and how much, as far as the operator decides it: whose tokens count, which pages connect, which fields
// never leave, how many orders a connection follows.
// Owns: the parameters of the template about access.
// Must not know: which function reads them.
// Source: docs/security.md, "What the operator sets".
import { CfnParameter, Stack } from 'aws-cdk-lib';
import { Construct } from 'constructs';

export class Access extends Construct {
  /** Where the issuer of the tokens publishes its keys. */
  readonly jwksUrl: string;
  /** What a token's `iss` must be. */
  readonly jwtIssuer: string;
  /** What a token's `aud` must be, or hold. */
  readonly jwtAudience: string;
  /** The origins of the pages that may connect, separated by commas. */
  readonly allowedOrigins: string;
  /** The names of the fields that are stored and never sent, separated by commas. */
  readonly redactedFields: string;
  /** The most subscriptions of one connection. */
  readonly subscriptionsMax: string;

  constructor(scope: Construct, id: string) {
    super(scope, id);
    const parameter = (name: string, description: string, more: { default?: string; allowedPattern: string }): string =>
      new CfnParameter(Stack.of(this), name, { description, ...more }).valueAsString;
    // None of the first four has a default: there is none that is safe for everybody.
    this.jwksUrl = parameter('JwksUrl', 'Where the issuer of your users\' tokens publishes its keys (JWKS).', {
      allowedPattern: 'https://.+',
    });
    this.jwtIssuer = parameter('JwtIssuer', 'The issuer of your users\' tokens: their "iss", to the letter.', {
      allowedPattern: '.+',
    });
    this.jwtAudience = parameter('JwtAudience', 'Whom the tokens are for: their "aud", or one of it.', {
      allowedPattern: '.+',
    });
    this.allowedOrigins = parameter(
      'AllowedOrigins',
      'The origins of your pages, such as https://shop.example, separated by commas; * is every page.',
      { allowedPattern: '.+' },
    );
    this.redactedFields = parameter('RedactedFields', 'Fields that are stored and never sent, separated by commas.', {
      default: 'stripeToken',
      allowedPattern: '.*',
    });
    this.subscriptionsMax = parameter('SubscriptionsMax', 'The most orders that one connection follows, 1 to 1000.', {
      default: '100',
      allowedPattern: '[1-9][0-9]{0,2}|1000',
    });
  }
}
