/** Puts text on the clipboard without asking for a permission; false when the browser refuses. Call it from a user's action. */
export function copyText(text: string): boolean {
  function onCopy(event: ClipboardEvent): void {
    event.preventDefault();
    event.stopImmediatePropagation();
    event.clipboardData?.setData('text/plain', text);
  }
  document.addEventListener('copy', onCopy, { capture: true, once: true });
  try {
    return document.execCommand('copy');
  } finally {
    document.removeEventListener('copy', onCopy, { capture: true });
  }
}
