// Runs before the first paint: applies the chosen colour scheme, else the system's, so that the skeleton has the right colours.
(() => {
  let kept = null;
  try {
    kept = localStorage.getItem('lago.color-scheme');
  } catch (error) {
    // Storage may be disabled by policy; then use the system's scheme.
    kept = error instanceof DOMException ? 'auto' : null;
  }
  const system = matchMedia('(prefers-color-scheme: light)').matches ? 'light' : 'dark';
  document.documentElement.setAttribute('data-mantine-color-scheme', kept === 'light' || kept === 'dark' ? kept : system);
})();
