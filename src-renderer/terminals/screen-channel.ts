/** The channel that noVNC accepts in place of a URL: looks like an open RTCDataChannel; the session link carries its bytes. */
export class ScreenChannel {
  binaryType = 'arraybuffer';
  protocol = '';
  readyState: 'open' | 'closed' = 'open';
  onopen: (() => void) | null = null;
  onmessage: ((event: { data: ArrayBuffer }) => void) | null = null;
  onerror: ((event: unknown) => void) | null = null;
  onclose: ((event: { code: number; reason: string; wasClean: boolean }) => void) | null = null;
  readonly #write: (bytes: Uint8Array) => void;

  constructor(write: (bytes: Uint8Array) => void) {
    this.#write = write;
  }

  /** Called by noVNC, which reuses its buffer afterwards, so the bytes are copied. */
  send(data: Uint8Array): void {
    if (this.readyState === 'open') this.#write(data.slice());
  }

  /** Bytes from the VM. */
  receive(bytes: Uint8Array): void {
    this.onmessage?.({ data: bytes.slice().buffer });
  }

  /** Called by noVNC and when the stream has ended. */
  close(): void {
    if (this.readyState === 'closed') return;
    this.readyState = 'closed';
    this.onclose?.({ code: 1000, reason: '', wasClean: true });
  }
}
