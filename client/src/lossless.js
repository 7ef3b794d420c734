// Reading JSON without rounding: a number of JavaScript has 53 bits, and an event may hold 38 digits.

/**
 * Reads JSON as `JSON.parse` does, except for numbers that it would round: a whole number beyond 2^53 becomes a `BigInt`, and
 * any other one its text, digit by digit.
 *
 * @param {string} text
 * @returns {any}
 */
export function parseLossless(text) {
  // No string of the text begins with the mark.
  let mark = '#';
  while (text.includes(`"${mark}`)) mark += '#';
  const marked = text.replace(/"(?:[^"\\]|\\.)*"|-?\d[\d.eE+-]*/g, (token) =>
    token[0] === '"' || isExact(token) ? token : `"${mark}${token}"`,
  );
  if (marked === text) return JSON.parse(text);
  return JSON.parse(marked, (_, value) => {
    if (typeof value !== 'string' || !value.startsWith(mark)) return value;
    const digits = value.slice(mark.length);
    return /[.eE]/.test(digits) ? digits : BigInt(digits);
  });
}

/** Whether a number of JavaScript is this one. What is no number at all is left to `JSON.parse`. */
function isExact(token) {
  if (!/^-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?$/.test(token)) return true;
  const number = Number(token);
  return /[.eE]/.test(token) ? decimal(token) === decimal(String(number)) : Number.isSafeInteger(number);
}

/** The value of a decimal number, the same for each way to write it. */
function decimal(text) {
  const [, sign, whole, fraction = '', exponent = '0'] = /^(-?)(\d+)(?:\.(\d+))?(?:e([+-]?\d+))?$/i.exec(text) ?? [];
  if (whole === undefined) return text;
  const digits = (whole + fraction).replace(/^0+/, '');
  const significant = digits.replace(/0+$/, '');
  if (significant === '') return '0';
  return `${sign}${significant}e${BigInt(exponent) - BigInt(fraction.length) + BigInt(digits.length - significant.length)}`;
}
