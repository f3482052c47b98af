/** The link of one network card. */
export interface LinkRequest {
  readonly vm: string;
  /** `eth0` is the first one in the definition. */
  readonly nic: string;
  readonly link: 'up' | 'down';
}
