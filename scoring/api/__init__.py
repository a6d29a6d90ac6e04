"""The jury over HTTP. The contract is DESIGN.md section 5."""
