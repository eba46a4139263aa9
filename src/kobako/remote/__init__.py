"""remote: pull from and push to any OCI or Docker registry.

https://github.com/opencontainers/distribution-spec. Doors: `client.Client` with
`endpoint.RegistryConfig` and `credentials.CredentialFile` (none of which needs an HTTP client),
`pull.pull`, `push.push`, `registry.resolve`, `tags`, `catalog` and `delete`, `login.login` and
`logout`.
"""
