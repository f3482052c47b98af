const { ipcRenderer } = require('electron');

// Asks for a flood, and passes its port on to the page.
window.addEventListener('message', (event) => {
  if (event.data.flood !== undefined) ipcRenderer.send('flood', event.data.flood);
});
ipcRenderer.on('port', (event) => window.postMessage({}, '*', event.ports));
