export async function findAccelerator(wanted: 'auto' | 'kvm' | 'tcg', _options: { readonly signal?: AbortSignal | undefined } = {}): Promise<'kvm' | 'tcg'> {
  return wanted === 'kvm' ? 'kvm' : 'tcg';
}
