/**
 * A service provider for guests with OpenRC (Alpine, Gentoo). `rc-service NAME status` exits with 0 for a started service and with 3 for
 * a stopped one.
 * @type {import('lago-desktop').ServicePlugin}
 */
export const openrc = {
  apiVersion: 1,
  kind: 'vm-service',
  name: 'openrc',
  detect: async (exec) => (await exec(['test', '-e', '/sbin/rc-service'])).code === 0,
  async state(exec, service) {
    const { code } = await exec(['/sbin/rc-service', service, 'status']);
    if (code === 0) return 'active';
    return code === 3 ? 'inactive' : 'missing';
  },
  start: async (exec, service) => await exec(['/sbin/rc-service', service, 'start']),
  stop: async (exec, service) => await exec(['/sbin/rc-service', service, 'stop']),
};
