// Loaded before an Electron program's own code (-r). Says "usable" on stdout once a button with the text LAGO_PROBE_BUTTON is enabled
// and painted, then ends the program.
const { app } = require('electron');

const page = `new Promise((done) => {
  const text = ${JSON.stringify(process.env['LAGO_PROBE_BUTTON'])};
  const look = () => {
    const found = [...document.querySelectorAll('button:not([disabled])')].some((button) => button.textContent.includes(text));
    if (found) requestAnimationFrame(() => requestAnimationFrame(done));
    else requestAnimationFrame(look);
  };
  look();
})`;

app.on('web-contents-created', (_event, contents) => {
  contents.once('dom-ready', async () => {
    await contents.executeJavaScript(page);
    process.stdout.write('usable\n');
    app.exit(0);
  });
});
