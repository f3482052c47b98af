import { parseArgs } from 'node:util';

/** Hosts of a hosted engine, as far as they are seen through `hosted-engine` and their files. */
export interface FakeHosts {
  /** Host → state of the engine's VM there. */
  readonly vms: Record<string, 'up' | 'down' | 'powering'>;
  maintenance: boolean;
  /** Of the engine, once its VM is up. */
  health: 'good' | 'bad';
  /** Hosts on which every command fails. */
  readonly broken: Set<string>;
  /** What was asked for, as `HOST: WORDS`; questions about the status are left out. */
  readonly asked: string[];
  /** How often a change of the maintenance mode is still missed. */
  missed: number;
  run(host: string, command: string, authority: string): { code: number; stdout: string; stderr: string };
}

/** `old`: as oVirt 4.0 wrote the status. */
export function fakeHosts(names: readonly string[], old = false): FakeHosts {
  const fake: FakeHosts = {
    vms: Object.fromEntries(names.map((name) => [name, 'down'])),
    maintenance: false,
    health: 'good',
    broken: new Set(),
    asked: [],
    missed: 0,
    run(host, command, authority) {
      const said = (stdout: string): { code: number; stdout: string; stderr: string } => ({ code: 0, stdout, stderr: '' });
      const failed = (stderr: string): { code: number; stdout: string; stderr: string } => ({ code: 1, stdout: '', stderr });
      if (fake.broken.has(host)) return failed('Cannot connect to the HA daemon');
      if (command === 'cat /etc/pki/vdsm/certs/cacert.pem') return said(authority);
      if (command === 'cat /etc/ovirt-hosted-engine/hosted-engine.conf') return said('vm_disk_id=1\nfqdn=engine.lago.local\nsdUUID=2\n');
      const words = /^timeout 60 hosted-engine (.*)$/.exec(command)?.[1];
      if (words === undefined) return failed(`${command}: not found`);
      const flag = { type: 'boolean' } as const;
      const { values } = parseArgs({
        args: words.split(' '),
        options: {
          json: flag,
          'vm-status': flag,
          'vm-start': flag,
          'vm-shutdown': flag,
          'set-maintenance': flag,
          mode: { type: 'string' },
        },
      });
      if (values['vm-status'] === true) return said(JSON.stringify(status()));
      fake.asked.push(`${host}: ${words}`);
      if (values['vm-start'] === true) fake.vms[host] = 'powering';
      else if (values['vm-shutdown'] === true) fake.vms[host] = 'down';
      else if (fake.missed > 0) fake.missed--;
      else fake.maintenance = values.mode === 'global';
      return said('');
    },
  };

  function status(): object {
    const told = Object.entries(fake.vms).map(([name, state], index) => {
      // It is up one look later.
      if (state === 'powering') fake.vms[name] = 'up';
      const up = state === 'up';
      const engine = { vm: state === 'down' ? 'down' : 'up', health: up ? fake.health : 'bad', detail: up ? 'Up' : 'Powering up' };
      const own = { hostname: `${name}.lago.local`, 'host-id': index + 1, score: 3400, 'live-data': true };
      return [String(index + 1), { ...own, 'engine-status': old ? JSON.stringify(engine) : engine }];
    });
    return { ...Object.fromEntries(told), global_maintenance: fake.maintenance };
  }

  return fake;
}
