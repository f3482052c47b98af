/** A URL for messages: without user and password. */
export function shownUrl(url: URL): string {
  if (url.username === '' && url.password === '') return url.href;
  const plain = new URL(url);
  plain.username = '';
  plain.password = '';
  return plain.href;
}
