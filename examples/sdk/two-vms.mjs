// Creates an environment, lets one VM reach the other, reverts to a snapshot, and removes everything again.
//
//   node examples/sdk/two-vms.mjs INIT_FILE [WORKDIR]
//
// The init file has two VMs on one network: resources/samples/two-vms.yaml, for example.
import { openEngine } from 'lago-desktop';

const [initFile, workdir = '.lago'] = process.argv.slice(2);
if (initFile === undefined) {
  console.error('usage: node two-vms.mjs INIT_FILE [WORKDIR]');
  process.exit(2);
}

// Ctrl-C cancels the current call, which is undone before it rejects.
const stop = new AbortController();
process.once('SIGINT', () => stop.abort());
const { signal } = stop;

const lago = await openEngine({ log: (level, message) => console.error(`${level}: ${message}`) });
try {
  const env = await lago.init(initFile, { workdir, name: 'two-vms', signal });
  try {
    await env.start([], { signal });
    const [first, second] = Object.values(await env.vms());
    console.log(`${first.name} is ${await first.state()} at ${await first.ip()}`);

    const ping = await first.ssh(`ping -c 1 -W 5 ${second.name}`, { signal });
    console.log(`${first.name} reaches ${second.name}: ${ping.code === 0}`);

    await env.snapshot('clean', { signal });
    await first.ssh('echo something > /root/mark', { signal });
    await env.revert('clean', { signal });
    const mark = await first.ssh('cat /root/mark', { signal });
    console.log(`after the revert the mark is ${mark.code === 0 ? 'still there' : 'gone'}`);
  } finally {
    await env.destroy();
  }
} finally {
  await lago.close();
}
