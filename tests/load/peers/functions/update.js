// What a browser is shown.
// Owns: leaving out the redacted fields, at any depth.
// Must not know: tables.
// Source: docs/security.md
const redacted = new Set(process.env.REDACTED_FIELDS.split(','));

export function shown(value) {
  if (Array.isArray(value)) return value.map(shown);
  if (value === null || typeof value !== 'object') return value;
  return Object.fromEntries(
    Object.entries(value).filter(([name]) => !redacted.has(name)).map(([name, field]) => [name, shown(field)]),
  );
}
