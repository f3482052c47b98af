import { expect, test } from 'vitest';
import { DhcpScan } from './dhcp-scan.ts';

const MAC = '54:52:c0:a8:c8:02';
const at = (time: string): number => new Date(`${new Date().getFullYear()}-01-02T${time}`).getTime();
const line = (time: string, text: string): string => `Jan  2 ${time} dnsmasq-dhcp[130]: ${text}\n`;

function scanned(text: string, since = at('10:00:00')): ReturnType<DhcpScan['signs']> {
  const scan = new DhcpScan(MAC, since);
  for (let from = 0; from < text.length; from += 7) scan.push(Buffer.from(text.slice(from, from + 7)));
  return scan.signs();
}

test('a card that asks and is given an address', () => {
  const signs = scanned(
    line('10:00:01', `DHCPDISCOVER(5624-front) ${MAC}`) +
      line('10:00:01', `DHCPOFFER(5624-front) 192.168.200.2 ${MAC}`) +
      line('10:00:02', `DHCPREQUEST(5624-front) 192.168.200.2 ${MAC}`) +
      line('10:00:02', `DHCPACK(5624-front) 192.168.200.2 ${MAC} web`),
  );
  expect(signs).toMatchObject({
    asked: { at: at('10:00:01'), line: `DHCPDISCOVER ${MAC}` },
    given: { at: at('10:00:02'), address: '192.168.200.2' },
    denied: undefined,
  });
  expect(signs.lines).toHaveLength(4);
});

test('other cards, other messages and earlier boots do not count', () => {
  const signs = scanned(
    line('09:59:00', `DHCPACK(5624-front) 192.168.200.2 ${MAC} web`) +
      line('10:00:01', 'DHCPDISCOVER(5624-front) 54:52:c0:a8:c8:03') +
      line('10:00:01', `RTR-SOLICIT(5624-front) ${MAC}`) +
      'nonsense\n',
  );
  expect(signs).toEqual({ asked: undefined, given: undefined, denied: undefined, lines: [] });
});

test('a card that asks from the beginning again has rebooted; one that renews its lease has not', () => {
  const exchange = (time: string): string =>
    line(time, `DHCPDISCOVER(b) ${MAC}`) +
    line(time, `DHCPREQUEST(b) 192.168.200.2 ${MAC}`) +
    line(time, `DHCPACK(b) 192.168.200.2 ${MAC}`);
  const renewed = exchange('10:00:01') + line('10:30:00', `DHCPREQUEST(b) 192.168.200.2 ${MAC}`);
  expect(scanned(renewed)).toMatchObject({ asked: { at: at('10:00:01') }, given: { at: at('10:00:01') } });
  const rebooted = renewed + exchange('11:00:01');
  expect(scanned(rebooted)).toMatchObject({ asked: { at: at('11:00:01') }, given: { at: at('11:00:01') } });
  expect(scanned(renewed + line('11:00:01', `DHCPDISCOVER(b) ${MAC}`))).toMatchObject({ asked: { at: at('11:00:01') }, given: undefined });
});

test('a card that is given none, until it is', () => {
  const asked = line('10:00:01', `DHCPDISCOVER(b) ${MAC} no address available`);
  expect(scanned(asked)).toMatchObject({ asked: {}, given: undefined, denied: { line: `DHCPDISCOVER ${MAC} no address available` } });
  expect(scanned(line('10:00:01', `DHCPNAK(b) 192.168.200.9 ${MAC} wrong network`))).toMatchObject({ denied: {} });
  expect(scanned(asked + line('10:00:05', `DHCPACK(b) 192.168.200.2 ${MAC}`))).toMatchObject({ given: {}, denied: undefined });
});

test('a lease that libvirt knows stands in for the log', () => {
  const scan = new DhcpScan(MAC, 0);
  expect(scan.lease('192.168.200.2', null)).toBe(true);
  expect(scan.lease('192.168.200.2', null)).toBe(false);
  expect(scan.signs().given).toMatchObject({ at: null, address: '192.168.200.2' });
});
