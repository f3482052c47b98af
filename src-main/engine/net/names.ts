/**
 * The host names of one network card, in Lago's order: `VM-ethN`; on the VM's management network `VM`; for the first card on a network
 * `VM-NET`; and `VM-NET-K`, where K counts the VM's cards on that network.
 */
export function nicNames(vm: string, card: number, net: string, cardOfNet: number, management: boolean): readonly string[] {
  const names = [`${vm}-eth${card}`];
  if (management) names.push(vm);
  if (cardOfNet === 0) names.push(`${vm}-${net}`);
  names.push(`${vm}-${net}-${cardOfNet}`);
  return names;
}
