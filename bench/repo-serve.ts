import { spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { alternate, makeScratch, root, runTimed, type Scratch, say } from './support/measure.ts';

/** The package server of an environment and nginx, each in a network namespace of its own, with curl as the client. */
export const title =
  'serving packages on loopback: 4 x 256 MiB at once, and 2,000 files of 12 KiB over 4 connections, against nginx with one worker';
export const goal = 'ratio >= 0.6 (throughput of ours / of nginx, of both together)';

const PORT = 8585;
const LARGE_MIB = 256;
const SMALL_FILES = 2000;
const CONNECTIONS = 4;
const ROUNDS = 3;

/** Starts the server of its arguments in a new network, runs curl with the configuration file $1, and prints how long curl took, in ms, the second time. */
const MEASURE = `
ip link set lo up
config=$1
shift
"$@" >/dev/null &
server=$!
until curl --silent --output /dev/null http://127.0.0.1:${PORT}/small/0.rpm; do
  kill -0 "$server" || exit 1
  sleep 0.02
done
curl --silent --fail --parallel --parallel-max ${CONNECTIONS} --config "$config" || exit 1
before=$EPOCHREALTIME
curl --silent --fail --parallel --parallel-max ${CONNECTIONS} --config "$config" || exit 1
after=$EPOCHREALTIME
echo $(((\${after/./} - \${before/./}) / 1000))
`;

function prepare({ dir }: Scratch): string {
  const folder = join(dir, 'www');
  mkdirSync(join(folder, 'small'), { recursive: true });
  writeFileSync(join(folder, 'large.rpm'), Buffer.alloc(LARGE_MIB * 1024 * 1024, 'package'));
  for (let name = 0; name < SMALL_FILES; name++) writeFileSync(join(folder, 'small', `${name}.rpm`), Buffer.alloc(12 * 1024, `${name}`));
  return folder;
}

function nginx({ dir }: Scratch, folder: string): readonly string[] {
  if (spawnSync('nginx', ['-v']).error !== undefined) throw new Error('nginx is not installed: on Debian, apt-get install nginx-light.');
  const file = join(dir, 'nginx.conf');
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((name) => `${name}_temp_path ${join(dir, name)};`).join('\n');
  writeFileSync(
    file,
    `daemon off; master_process off; user root; pid ${join(dir, 'nginx.pid')}; error_log ${join(dir, 'nginx-error.log')};
events { worker_connections 512; }
http {
  sendfile on; tcp_nopush on; keepalive_requests 100000; access_log ${join(dir, 'nginx-access.log')};
  ${temporary}
  server { listen 127.0.0.1:${PORT}; root ${folder}; autoindex on; }
}
`,
  );
  return ['nginx', '-e', join(dir, 'nginx-error.log'), '-c', file];
}

function ours({ dir }: Scratch, folder: string): readonly string[] {
  const spec = { folder, address: '127.0.0.1', port: PORT, log: join(dir, 'access.jsonl'), vms: {} };
  return [process.execPath, join(root, 'resources/host/repo-server.cjs'), JSON.stringify(spec)];
}

function curlConfig({ dir }: Scratch, name: string, paths: readonly string[]): string {
  const file = join(dir, `${name}.curl`);
  writeFileSync(file, paths.map((path) => `url = http://127.0.0.1:${PORT}/${path}\noutput = /dev/null\n`).join(''));
  return file;
}

export async function run(): Promise<Record<string, number>> {
  using scratch = makeScratch();
  const folder = prepare(scratch);
  const servers = { reference: nginx(scratch, folder), ours: ours(scratch, folder) };
  const compare = async (
    name: string,
    paths: readonly string[],
  ): Promise<{ readonly ours: number; readonly reference: number; readonly ratio: number }> => {
    say(`  ${name}`);
    const config = curlConfig(scratch, name, paths);
    const measure = async (server: readonly string[]): Promise<number> => {
      const inside = ['unshare', '--user', '--map-root-user', '--net', '--pid', '--fork', '--kill-child', 'bash', '-c', MEASURE, 'bash'];
      return Number((await runTimed({ argv: [...inside, config, ...server] })).stdout.trim());
    };
    return await alternate(
      ROUNDS,
      async () => await measure(servers.reference),
      async () => await measure(servers.ours),
    );
  };
  const large = await compare(
    'large',
    Array.from({ length: CONNECTIONS }, () => 'large.rpm'),
  );
  const small = await compare(
    'small',
    Array.from({ length: SMALL_FILES }, (_, name) => `small/${name}.rpm`),
  );
  const perSecond = (amount: number, ms: number): number => Math.round((amount * 1000) / ms);
  return {
    ratio: (large.reference + small.reference) / (large.ours + small.ours),
    large_ratio: 1 / large.ratio,
    small_ratio: 1 / small.ratio,
    large_mib_s: perSecond(CONNECTIONS * LARGE_MIB, large.ours),
    nginx_large_mib_s: perSecond(CONNECTIONS * LARGE_MIB, large.reference),
    small_per_s: perSecond(SMALL_FILES, small.ours),
    nginx_small_per_s: perSecond(SMALL_FILES, small.reference),
  };
}
