/** Elements that can hold the focus, including those outside the tab order. */
const FOCUSABLE = 'a[href], button, input, select, textarea, summary, [tabindex]';
/** Temporary layers over or beside the page: when one closes, focus returns to where it was before. */
const LAYER = '[role="dialog"], [role="menu"], [data-focus-layer]';

type Focusable = HTMLElement | SVGElement;

/** The focused element, with enough context to find a place near it once it is removed. */
interface Trail {
  readonly element: Focusable;
  readonly layer: Element | null;
  /** From the inside out: each ancestor, and the index of its child that contains the element. */
  readonly path: readonly { readonly parent: Element; readonly index: number }[];
  /** Where the focus was before it entered the layer. */
  readonly before: Trail | undefined;
}

function isFocusable(target: unknown): target is Focusable {
  return target instanceof HTMLElement || target instanceof SVGElement;
}

function canHoldFocus(element: Element): boolean {
  return element.isConnected && !element.matches(':disabled') && element.closest('[inert], [hidden]') === null;
}

function isPlace(element: Element | undefined): element is Focusable {
  return isFocusable(element) && element.matches(FOCUSABLE) && element.tabIndex >= 0 && canHoldFocus(element) && element.checkVisibility();
}

function placeIn(root: Element | undefined): Focusable | undefined {
  if (root === undefined) return undefined;
  return isPlace(root) ? root : [...root.querySelectorAll(FOCUSABLE)].find(isPlace);
}

function trailOf(element: Focusable, before: Trail | undefined): Trail {
  const path: { parent: Element; index: number }[] = [];
  for (let child: Element = element; child.parentElement !== null && child.parentElement !== document.body; child = child.parentElement) {
    path.push({ parent: child.parentElement, index: [...child.parentElement.children].indexOf(child) });
  }
  return { element, layer: element.closest(LAYER), path, before };
}

/** The element itself, its replacement, the nearest focusable place around it, or where the focus was before. */
function placeNear(trail: Trail): Focusable | undefined {
  if (canHoldFocus(trail.element)) return trail.element;
  for (const { parent, index } of trail.path) {
    if (!canHoldFocus(parent)) continue;
    if (trail.layer !== null && !trail.layer.contains(parent)) break;
    const found = placeIn(parent.children[Math.min(index, parent.children.length - 1)]) ?? placeIn(parent);
    if (found !== undefined) return found;
  }
  return trail.before === undefined ? undefined : placeNear(trail.before);
}

/**
 * Restores the focus when the focused element is removed, hidden or disabled: after a menu, a dialog or the dock to where it was before,
 * otherwise to the nearest place that is left. Returns a function that stops this.
 */
export function keepFocus(): () => void {
  const events = new AbortController();
  let trail: Trail | undefined;
  let checking = false;

  function beforeLayer(layer: Element | null): Trail | undefined {
    if (layer === null) return undefined;
    // Moving within a layer keeps what was focused before it; entering another layer keeps the whole chain.
    for (let one = trail; one !== undefined; one = one.before) if (one.layer === layer) return one.before;
    return trail;
  }

  function check(): void {
    checking = false;
    if (trail === undefined || canHoldFocus(trail.element)) return;
    const { activeElement } = document;
    // Something else has taken the focus, or the window is closing.
    if (activeElement !== null && activeElement !== document.body && activeElement !== trail.element) return;
    const place = placeNear(trail);
    place?.focus({ preventScroll: true });
    if (place === undefined) trail = undefined;
  }

  document.addEventListener(
    'focusin',
    ({ target }) => {
      if (isFocusable(target)) trail = trailOf(target, beforeLayer(target.closest(LAYER)));
    },
    events,
  );
  document.addEventListener(
    'focusout',
    ({ target, relatedTarget }) => {
      // A click on empty space releases the focus on purpose; switching to another window does not.
      if (relatedTarget === null && document.hasFocus() && isFocusable(target) && canHoldFocus(target)) {
        queueMicrotask(() => {
          if (trail?.element === target && canHoldFocus(target) && document.activeElement !== target) trail = undefined;
        });
      }
    },
    events,
  );
  const observer = new MutationObserver(() => {
    if (checking || trail === undefined || canHoldFocus(trail.element)) return;
    checking = true;
    // A replacement, such as a dialog after its menu, may take the focus first.
    queueMicrotask(check);
  });
  observer.observe(document.body, { childList: true, subtree: true, attributeFilter: ['inert', 'hidden', 'disabled'] });
  return () => {
    events.abort();
    observer.disconnect();
  };
}
