/**
 * A VM type: `vm-type: web-server` in an init file. Collects the web server's logs, records the port that it serves, and adds the VM to
 * the group `web` of the Ansible inventory.
 * @type {import('lago-desktop').VmTypePlugin}
 */
export const webServer = {
  apiVersion: 1,
  kind: 'vm',
  name: 'web-server',
  artifacts: ['/var/log/nginx'],
  metadata: { port: 80 },
  extend: (spec) => ({ groups: [...new Set([...(spec.groups ?? []), 'web'])] }),
};
