import { X509Certificate } from 'node:crypto';
import { createSecureContext, type SecureContext } from 'node:tls';
import { EngineError } from '../../../../src-shared/errors.ts';
import { readTextFile } from '../../core/files/text-file.ts';
import type { ConnectionOptions } from '../definition/section.ts';

/** How TLS connections to the servers of a repository are made. */
export interface TlsOptions {
  readonly rejectUnauthorized: boolean;
  readonly secureContext: SecureContext;
}

/** Where distributions keep the certificates that the machine trusts, for all programs on it. */
const BUNDLES = ['/etc/ssl/certs/ca-certificates.crt', '/etc/pki/tls/certs/ca-bundle.crt'];

/**
 * Reads the certificates of a repository; without `sslcacert`, those that the machine trusts count (`SSL_CERT_FILE` names others, as for
 * OpenSSL), and node's own where it has none. `input.missing-file` for one that is not there, `input.invalid` for those that cannot be read
 * or do not belong together.
 */
export async function readTlsOptions(
  connection: Pick<ConnectionOptions, 'sslVerify' | 'sslCaCert' | 'sslClientCert' | 'sslClientKey'>,
  env: Readonly<Record<string, string | undefined>>,
): Promise<TlsOptions> {
  const { sslVerify, sslCaCert, sslClientCert, sslClientKey } = connection;
  const own = [sslCaCert, sslClientCert, sslClientKey].filter((path) => path !== undefined);
  const [ca, cert, key] = await Promise.all([
    sslCaCert === undefined ? machineAuthorities(env) : [(await certificate(sslCaCert)) ?? ''],
    certificate(sslClientCert),
    // As for curl, one file may hold both.
    certificate(sslClientKey ?? sslClientCert),
  ]);
  try {
    // OpenSSL passes over what it cannot read.
    if (sslCaCert !== undefined) new X509Certificate(ca?.[0] ?? '');
    const secureContext = createSecureContext({
      ...(ca === undefined ? {} : { ca: [...ca] }),
      ...(cert === undefined || key === undefined ? {} : { cert, key }),
    });
    return { rejectUnauthorized: sslVerify, secureContext };
  } catch (error) {
    throw new EngineError('input.invalid', `The certificates ${own.join(', ')} cannot be used: ${(error as Error).message}.`, {
      cause: error,
      hint: 'They have to be PEM files, and the client key that of the client certificate; a key with a password cannot be used.',
    });
  }
}

async function certificate(path: string | undefined): Promise<string | undefined> {
  const text = path === undefined ? undefined : await readTextFile(path);
  if (path === undefined || text !== undefined) return text;
  throw new EngineError('input.missing-file', `The certificate or key ${path} does not exist.`, {
    hint: 'Check sslcacert, sslclientcert and sslclientkey of the repository.',
  });
}

/** Undefined: those that node brings. What is added for node's programs counts in any case. */
async function machineAuthorities(env: Readonly<Record<string, string | undefined>>): Promise<readonly string[] | undefined> {
  const more = env['NODE_EXTRA_CA_CERTS'];
  for (const path of [env['SSL_CERT_FILE'], ...BUNDLES]) {
    const found = path === undefined || path === '' ? undefined : await readTextFile(path);
    if (found !== undefined) return [found, ...(more === undefined || more === '' ? [] : [(await readTextFile(more)) ?? ''])];
  }
  return undefined;
}
