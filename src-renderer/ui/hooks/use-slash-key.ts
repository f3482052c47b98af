import { type RefObject, useEffect } from 'react';

/** The key `/` puts the focus into a page's filter, except while the user types elsewhere. */
export function useSlashKey(field: RefObject<HTMLInputElement | null>): void {
  useEffect(() => {
    function onKeyDown(event: KeyboardEvent): void {
      const { target } = event;
      if (event.key !== '/' || event.ctrlKey || event.altKey) return;
      if (
        target instanceof HTMLElement &&
        target.closest('input, textarea, [role="dialog"], [data-testid="terminal"], [data-testid="screen"]')
      )
        return;
      event.preventDefault();
      field.current?.focus();
    }
    window.addEventListener('keydown', onKeyDown);
    return () => window.removeEventListener('keydown', onKeyDown);
  }, [field]);
}
