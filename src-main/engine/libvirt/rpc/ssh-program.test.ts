import { describe, expect, it } from 'vitest';
import { sshArguments, sshFailure } from './ssh-program.ts';
import { type LibvirtTarget, parseLibvirtUri, type SshTarget } from './uri.ts';

function target(uri: string): LibvirtTarget & { readonly ssh: SshTarget } {
  const parsed = parseLibvirtUri(uri);
  if (parsed.ssh === undefined) throw new Error(`${uri} is not remote.`);
  return { ...parsed, ssh: parsed.ssh };
}

describe('the command line of ssh', () => {
  it('leaves everything that the address does not say to the configuration', () => {
    expect(sshArguments(target('qemu+ssh://host/system').ssh, 'script')).toEqual([
      ...['ssh', '-T', '-e', 'none', '-o', 'BatchMode=yes', '-o', 'ConnectTimeout=15', '--', 'host', 'script'],
    ]);
  });

  it('has what the address says', () => {
    const { ssh } = target('qemu+ssh://me@host:2222/system?command=/x/ssh&keyfile=/my%20key&known_hosts=/k&no_verify=1');
    const all = sshArguments(ssh, 'script').join(' ');
    expect(all).toMatch(/^\/x\/ssh .* -p 2222 -l me -i \/my key -o IdentitiesOnly=yes -o UserKnownHostsFile="\/k"/);
    expect(all).toContain('-o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -- host script');
  });
});

describe('what ssh says', () => {
  const remote = target('qemu+ssh://host/system');
  it.each([
    [
      255,
      'No ED25519 host key is known for host and you have requested strict checking.\nHost key verification failed.',
      'host.denied',
      /not known yet/,
    ],
    [255, '@ WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED! @\nHost key verification failed.', 'host.denied', /not the known one/],
    [255, 'me@host: Permission denied (publickey,password).', 'host.denied', /refuses the login/],
    [255, 'ssh: connect to host host port 22: Connection refused', 'host.unavailable', /Connection refused/],
    [255, 'ssh: Could not resolve hostname host: Name or service not known', 'host.unavailable', /resolve/],
    [1, 'lago-no-tool', 'host.unavailable', /neither virt-ssh-helper nor nc/],
    [1, 'lago-no-socket', 'host.unavailable', /does not answer on host/],
    [1, 'nc: unix connect failed: Permission denied', 'host.denied', /may not use libvirt's socket/],
    [
      1,
      "virt-ssh-helper: cannot connect to 'qemu:///system': Failed to connect socket: No such file or directory",
      'host.unavailable',
      /No such file/,
    ],
    [null, '', 'host.unavailable', /no reason was given/],
  ])('%s %s', (code, stderr, expected, message) => {
    const error = sshFailure(remote.ssh, remote, { code, stderr });
    expect(error).toMatchObject({ code: expected, message: expect.stringMatching(message) as string, hint: expect.any(String) as string });
  });
});
