export async function requireEmbedded(): Promise<void> {
  return await Promise.resolve();
}
