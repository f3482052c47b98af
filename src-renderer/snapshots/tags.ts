/** The tags in a text, separated by commas or spaces, each once. */
export function tagsOf(text: string): string[] {
  return [...new Set(text.split(/[,\s]+/).filter((tag) => tag !== ''))];
}
