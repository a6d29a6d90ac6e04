"""The jury over HTTP. The contract is docs/api.md."""
