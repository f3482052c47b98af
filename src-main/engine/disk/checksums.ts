/** Hash algorithms for verifying images. */
export type HashAlgorithm = 'sha1' | 'sha256' | 'sha512';
/** Hex digits by algorithm. */
export type Checksums = Readonly<Partial<Record<HashAlgorithm, string>>>;
