/**
 * A verb: `lago addresses [VM_NAME ...] [--hosts]`. Prints the address of each VM, as a mapping or as lines for /etc/hosts.
 * @type {import('lago-desktop').CliPlugin}
 */
export const addresses = {
  apiVersion: 1,
  kind: 'cli',
  name: 'addresses',
  summary: 'Print the addresses of the VMs',
  description: 'Reads only, and starts nothing.',
  positionals: [{ name: 'vms', metavar: 'VM_NAME', arity: 'many', help: 'The VMs; all of them by default.', completes: 'vm' }],
  options: [{ flags: ['--hosts'], name: 'hosts', kind: 'flag', help: 'Print lines for /etc/hosts.' }],
  examples: [{ line: 'addresses --hosts >> /etc/hosts', does: 'Lets this machine know the VMs by name.' }],
  async run(call) {
    const { path } = await call.prefix();
    const { vms } = await call.withEngine(async (engine) => await engine.prefix.status(path));
    const named = /** @type {readonly string[]} */ (call.values.vms ?? []);
    const unknown = named.find((name) => !vms.some((vm) => vm.name === name));
    if (unknown !== undefined) call.fail(`There is no VM "${unknown}".`, `There are: ${vms.map((vm) => vm.name).join(', ')}.`);
    const shown = vms.filter((vm) => named.length === 0 || named.includes(vm.name));
    if (call.values.hosts === true) {
      for (const vm of shown) if (vm.ip !== null) call.print(`${vm.ip}\t${vm.name}`);
    } else call.printValue(Object.fromEntries(shown.map((vm) => [vm.name, vm.ip])));
  },
};
