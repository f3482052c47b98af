/** Removes escape sequences and control characters except newline and tab, so that output of guests and tools cannot move the cursor. */
export function cleanText(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: removing them is the purpose
  return text
    .replace(/\u001b\[[0-?]*[ -/]*[@-~]|\u001b\][^\u0007\u001b]*(?:\u0007|\u001b\\)/g, '')
    .replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g, '');
}

/** A line without its line break as a terminal would leave it: what follows the last carriage return has replaced what was before. */
export function cleanLine(line: string): string {
  const whole = line.replace(/\r+$/, '');
  return cleanText(whole.slice(whole.lastIndexOf('\r') + 1));
}
