/** The parts of noVNC 1.7 that we use; `@types/novnc__novnc` describes an older version. */
declare module '@novnc/novnc' {
  export default class RFB extends EventTarget {
    constructor(target: HTMLElement, urlOrChannel: string | object, options?: { readonly shared?: boolean });
    scaleViewport: boolean;
    background: string;
    focusOnClick: boolean;
    sendCtrlAltDel(): void;
    focus(): void;
    disconnect(): void;
  }
}
