// Runs before the first paint: the colour scheme that the user chose, else the system's, so that the skeleton has the right colours.
(() => {
  let kept = null;
  try {
    kept = localStorage.getItem('lago.color-scheme');
  } catch (error) {
    // Storage can be switched off by policy; the system's scheme is right then.
    kept = error instanceof DOMException ? 'auto' : null;
  }
  const system = matchMedia('(prefers-color-scheme: light)').matches ? 'light' : 'dark';
  document.documentElement.setAttribute('data-mantine-color-scheme', kept === 'light' || kept === 'dark' ? kept : system);
})();
