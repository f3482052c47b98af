import type { DeployOutput, VmDeploy } from '../../src-shared/deploy.ts';
import type { DeployInput } from '../../src-shared/verbs.ts';

/** The demo's scripts after a deploy. */
export function deployed(deploy: readonly VmDeploy[], { vms }: DeployInput, state: 'ok' | 'cancelled'): VmDeploy[] {
  const now = Date.now();
  return deploy.map(({ vm, scripts }) => {
    if (vms?.includes(vm) === false) return { vm, scripts };
    const run = { state, code: state === 'ok' ? 0 : 143, startedAt: now - 6_000, endedAt: now };
    return { vm, scripts: scripts.map(({ name }) => ({ name, ...run })) };
  });
}

/** What the demo's scripts printed. */
export async function* demoOutput(vm: string, script: number, signal: AbortSignal | undefined): AsyncIterableIterator<DeployOutput> {
  if (vm === 'web' && script === 1) {
    yield {
      text: `Enabling site shop
Testing the configuration
nginx: [emerg] host not found in upstream "app" in /etc/nginx/sites-enabled/shop:14
nginx: configuration file /etc/nginx/nginx.conf test failed
`,
      skipped: 0,
    };
    return;
  }
  for (let line = 1; line <= 400 && signal?.aborted !== true; line += 100) {
    const text = Array.from({ length: 100 }, (_, index) => `Unpacking package-${line + index} (1.${index}-2+deb12u1) …\n`).join('');
    yield { text, skipped: line === 1 ? 1_000_000 : 0 };
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
