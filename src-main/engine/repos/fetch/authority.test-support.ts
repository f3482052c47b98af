import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** Paths of a key and its certificate. */
export interface Certified {
  readonly key: string;
  readonly cert: string;
}

/** An authority of its own, made by openssl. */
export interface Authority extends Certified {
  /** A key with a certificate for these names (`DNS:host.test`, `IP:127.0.0.1`). */
  issue(name: string, subjectAltName: string): Certified;
}

const KEY = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];

export function makeAuthority(folder: string, name: string): Authority {
  mkdirSync(folder);
  const openssl = (...argv: readonly string[]): void => void execFileSync('openssl', argv, { cwd: folder, stdio: 'pipe' });
  openssl('req', '-x509', ...KEY, '-days', '2', '-subj', `/CN=${name}`, '-keyout', 'ca.key', '-out', 'ca.pem');
  return {
    key: join(folder, 'ca.key'),
    cert: join(folder, 'ca.pem'),
    issue(own, subjectAltName) {
      const [key, request, cert, extensions] = ['key', 'csr', 'pem', 'ext'].map((end) => `${own}.${end}`) as [
        string,
        string,
        string,
        string,
      ];
      writeFileSync(join(folder, extensions), `subjectAltName=${subjectAltName}\n`);
      openssl('req', ...KEY, '-subj', `/CN=${own}`, '-keyout', key, '-out', request);
      const signer = ['-CA', 'ca.pem', '-CAkey', 'ca.key', '-CAcreateserial'];
      openssl('x509', '-req', '-in', request, ...signer, '-days', '2', '-extfile', extensions, '-out', cert);
      return { key: join(folder, key), cert: join(folder, cert) };
    },
  };
}
