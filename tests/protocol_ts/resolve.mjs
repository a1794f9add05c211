// The generated module is the panel's and imports `zod` by name; here it is resolved from the
// tests' own packages, so that the protocol's test needs no panel.
import { registerHooks } from 'node:module';

registerHooks({
  resolve: (specifier, context, next) =>
    next(specifier, specifier === 'zod' ? { ...context, parentURL: import.meta.url } : context),
});
