// Who may see what and how much, as far as the operator decides it: whose tokens count, which pages connect, which fields
// never leave, how many orders a connection follows.
// Owns: the words for it.
// Must not know: where the operator says it, which function reads it.
// Source: docs/security.md, "What the operator sets".

export interface Access {
  /** Where the issuer of the tokens publishes its keys (JWKS): an `https` address. */
  readonly jwksUrl: string;
  /** What a token's `iss` must be. */
  readonly jwtIssuer: string;
  /** What a token's `aud` must be, or hold. */
  readonly jwtAudience: string;
  /** The origins of the pages that may connect. */
  readonly allowedOrigins: readonly string[];
  /** The names of the fields that are stored and never sent. */
  readonly redactedFields: readonly string[];
  /** API Gateway's requests a second of the account in its region, which pushes must not exceed. */
  readonly requestsPerSecond: string;
  /** The most subscriptions of one connection, 1 to 1000. */
  readonly subscriptionsMax: string;
}
