// The authorizer in JavaScript: it checks a token by its issuer's keys.
// Owns: what the function `authorizer` owns.
// Must not know: orders, tables.
// Source: docs/security.md, the documentation of jose
import { createRemoteJWKSet, jwtVerify } from 'jose';

const { JWKS_URL, JWT_ISSUER: issuer, JWT_AUDIENCE: audience } = process.env;
const keys = createRemoteJWKSet(new URL(JWKS_URL));

function answer(principalId, Effect, Resource, context) {
  const Statement = [{ Action: 'execute-api:Invoke', Effect, Resource }];
  return { principalId, policyDocument: { Version: '2012-10-17', Statement }, context };
}

export const handler = async ({ methodArn, queryStringParameters }) => {
  try {
    const { payload } = await jwtVerify(queryStringParameters.token, keys, { issuer, audience, algorithms: ['RS256', 'ES256'] });
    return answer(payload.sub, 'Allow', methodArn, { scope: payload.scope ?? '', expiresAt: payload.exp });
  } catch {
    return answer('nobody', 'Deny', methodArn, {});
  }
};
