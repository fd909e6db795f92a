const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;

/** Whether a text may stand as a header field's name (RFC 9110 5.1). */
export function isFieldName(text: string): boolean {
  return TOKEN.test(text);
}
