export function openVirtualScreen(): Promise<{ readonly display: string; close(): void }>;
