/** Tests and what they are made of: doubles of our own interfaces, and set-ups. */
const tests = '\\.(test|test-support|fake)\\.tsx?$';
/** A page with invented data, for work on the renderer; not part of the program. */
const demo = '^src-renderer/dev/';
/** One kind of input and output each. */
const adapters = 'host|libvirt|net|disk|guest|appliance|seed|repos';
/** Where adapters meet. */
const recipes = 'plan|prefix|runtime|snapshot|create|export|copy|recipes';

/** @type {import('dependency-cruiser').IConfiguration} */
module.exports = {
  forbidden: [
    {
      name: 'no-cycles',
      comment: 'Two files that need each other are one file, or share a third.',
      severity: 'error',
      from: {},
      to: { circular: true },
    },
    {
      name: 'no-junk-drawers',
      comment: 'A name says what is inside.',
      severity: 'error',
      from: { path: '[/-](utils?|helpers?|common|misc|managers?)([.]|/)' },
      to: {},
    },
    {
      name: 'no-imported-junk-drawers',
      severity: 'error',
      from: {},
      to: { path: '[/-](utils?|helpers?|common|misc|managers?)([.]|/)', pathNot: '(^|/)node_modules/' },
    },
    {
      name: 'tests-are-leaves',
      comment: 'Product code never imports a test.',
      severity: 'error',
      from: { pathNot: [tests, '^e2e/.+\\.spec\\.ts$', '^bench/libvirt-calls\\.ts$'] },
      to: { path: tests },
    },
    {
      name: 'unresolvable',
      severity: 'error',
      from: {},
      to: { couldNotResolve: true, pathNot: '^(electron|virtual:)|\\?[a-z]+$' },
    },
    {
      name: 'shared-runs-anywhere',
      comment: 'src-shared knows zod, yaml and the language, so that it runs in every process.',
      severity: 'error',
      from: { path: '^src-shared/', pathNot: tests },
      to: { pathNot: '^(src-shared/|node_modules/(zod|yaml|@orpc/contract)/)' },
    },
    {
      name: 'renderer-is-a-page',
      comment: 'The renderer is sandboxed and also served to browsers: no electron, no node, no main code.',
      severity: 'error',
      from: { path: '^src-renderer/', pathNot: [tests, demo] },
      to: { path: '^(src-main/|e2e/|bench/|torture/|scripts/|node_modules/(electron|ssh2|@orpc/server)/)|^electron$' },
    },
    {
      name: 'renderer-without-node',
      severity: 'error',
      from: { path: '^src-renderer/', pathNot: [tests, demo] },
      to: { dependencyTypes: ['core'] },
    },
    {
      name: 'preload-is-a-bridge',
      comment: 'A sandboxed preload is one CommonJS file with electron inside.',
      severity: 'error',
      from: { path: '^src-main/desktop/preload\\.ts$' },
      to: { pathNot: '^(src-shared/|node_modules/electron/)|^electron' },
    },
    {
      name: 'only-the-shell-knows-electron',
      severity: 'error',
      from: { path: '^src-main/(engine|cli|sdk)/|^src-shared/|^src-renderer/' },
      to: { path: '^node_modules/electron/|^electron(/|$)' },
    },
    {
      name: 'engine-stands-alone',
      comment: 'The engine is plain Node; window, command line and server are its clients.',
      severity: 'error',
      from: { path: '^src-main/engine/' },
      to: { path: '^(src-main/(?!engine/)|src-renderer/|e2e/|bench/|torture/|scripts/)' },
    },
    {
      name: 'ovirt-is-a-plugin',
      comment: 'It uses what any plugin can (packages too): where that is not enough, the contract is widened for all of them.',
      severity: 'error',
      from: { path: '^src-main/engine/plugins/ovirt/', pathNot: tests },
      to: {
        pathNot: '^(src-main/engine/plugins/(ovirt/|contract\\.ts$)|src-shared/|node_modules/yaml/)',
        dependencyTypesNot: ['core'],
      },
    },
    {
      name: 'core-is-the-ground',
      severity: 'error',
      from: { path: '^src-main/engine/core/', pathNot: tests },
      to: { path: '^src-main/', pathNot: '^src-main/engine/core/' },
    },
    {
      name: 'adapters-do-not-meet',
      comment: 'An adapter does one kind of input and output; recipes are where adapters meet.',
      severity: 'error',
      from: { path: `^src-main/engine/(${adapters})/`, pathNot: tests },
      to: { path: '^src-main/engine/', pathNot: '^src-main/engine/(core|$1)/' },
    },
    {
      name: 'templates-stand-on-disk-images',
      comment: 'The store of templates is an adapter too; what it stores are disk images.',
      severity: 'error',
      from: { path: '^src-main/engine/template/', pathNot: tests },
      to: { path: '^src-main/engine/', pathNot: '^src-main/engine/(core|disk|template)/' },
    },
    {
      name: 'the-plan-touches-nothing',
      comment: 'Planning takes values and gives values: of other rooms only what computes.',
      severity: 'error',
      from: { path: '^src-main/engine/plan/', pathNot: tests },
      to: {
        path: '^src-main/engine/',
        pathNot:
          '^src-main/engine/((core|plan)/|net/(names|subnets)\\.ts$|libvirt/xml/cpu\\.ts$|appliance/(customize-options|sysprep-commands)\\.ts$|seed/cloud-init\\.ts$|repos/definition/(?!read-repo-file)|plugins/contract\\.ts$)',
      },
    },
    {
      name: 'a-prefix-is-files',
      comment: 'What lies on disk, and nothing of what runs.',
      severity: 'error',
      from: { path: '^src-main/engine/prefix/', pathNot: tests },
      to: { path: '^src-main/engine/', pathNot: '^src-main/engine/(core|prefix)/|^src-main/engine/libvirt/names\\.ts$' },
    },
    {
      name: 'recipes-have-an-order',
      comment: 'What runs VMs is under snapshots, and both are under the recipes that a verb calls.',
      severity: 'error',
      from: { path: '^src-main/engine/(runtime|snapshot)/', pathNot: tests },
      to: { path: '^src-main/engine/(create|export|copy|recipes)/' },
    },
    {
      name: 'recipes-stay-below-the-engine',
      severity: 'error',
      from: { path: `^src-main/engine/(${recipes})/`, pathNot: tests },
      to: {
        path: '^src-main/engine/([^/]+|(configuration|live)/.*)\\.ts$',
        pathNot: '^src-main/engine/(configuration/settings|data-dir)\\.ts$',
      },
    },
    {
      name: 'one-door-to-the-engine',
      comment: 'Front doors use engine/index.ts only. One bench measures an adapter by itself.',
      severity: 'error',
      from: { path: '^(src-main/(cli|sdk|desktop)/|e2e/|bench/|torture/)', pathNot: [tests, '^bench/libvirt-calls\\.ts$'] },
      to: { path: '^src-main/engine/', pathNot: '^src-main/engine/index\\.ts$' },
    },
    {
      name: 'front-doors-are-strangers',
      severity: 'error',
      from: { path: '^src-main/(cli|sdk|desktop)/', pathNot: tests },
      to: { path: '^src-main/', pathNot: '^src-main/(engine|$1)/' },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    exclude: { path: '(^|/)(out|\\.cache|fixtures)/' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.base.json' },
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'require', 'node', 'default', 'types'],
      extensions: ['.ts', '.tsx', '.d.ts', '.mjs', '.cjs', '.js', '.json'],
    },
    builtInModules: { add: ['electron'] },
    cache: { folder: 'node_modules/.cache/dependency-cruiser', strategy: 'content' },
  },
};
