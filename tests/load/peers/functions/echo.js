// The example application of the local stack in JavaScript: a browser gets back what it sends.
// Owns: nothing.
// Must not know: where it runs.
// Source: local/examples/echo
export const handler = async ({ body }) => ({ statusCode: 200, body });
