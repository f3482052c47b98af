import { isDistroName, takesKind } from '../merge/distro.ts';
import { clientFile, repoAddress, type ServedRepo } from './client-file.ts';

/** Programs that every guest with yum, dnf or apt has, which succeed if there is something at the address that follows. */
const PROBES: Readonly<Record<ServedRepo['kind'], (address: string) => string>> = {
  rpm: (address) => `curl --silent --fail --max-time 10 --output /dev/null ${address}/repodata/repomd.xml`,
  deb: (address) =>
    `/usr/lib/apt/apt-helper -o APT::Sandbox::User=root -o Acquire::Retries=0 -o Acquire::http::Timeout=10 download-file ${address}/Release /run/lago-release`,
};

/**
 * A shell script for a guest of `distro`, to be run by root at each boot when its network is up: writes the file that makes it use the
 * repository below `url`, unless there is one already, such as a later one by `lago deploy`. The file is written if the repository is there
 * at that moment, since apt fails without. With `expected` dnf and yum, which can go on without, get it in any case. Undefined for a
 * distribution that can have no repository.
 */
export function clientScript(url: string, distro: string, { expected }: { readonly expected: boolean }): string | undefined {
  if (!isDistroName(distro)) return undefined;
  const address = repoAddress(url, distro);
  const kinds = (['rpm', 'deb'] as const).filter((kind) => takesKind(distro, kind));
  const writing = kinds.map((kind) => {
    const { path, content } = clientFile(url, { distro, kind }, { optional: true });
    const probe = expected && kind === 'rpm' ? '' : ` && ${PROBES[kind](address)} >/dev/null 2>&1`;
    return `file=${path}
if [ -d "\${file%/*}" ] && [ ! -e "$file" ]${probe}; then
cat >"$file.new" <<'END'
${content}END
mv "$file.new" "$file"
fi
`;
  });
  return writing.join('');
}
