// Everything that would ask another host is off: the gateway may stand where there is none.
Scalar.createApiReference("#reader", {
  url: "openapi.json",
  // Wherever the gateway is nested.
  servers: [{ url: new URL(".", location.href).href.replace(/\/$/, "") }],
  withDefaultFonts: false,
  telemetry: false,
  agent: { disabled: true },
  mcp: { disabled: true },
  hideClientButton: true,
  showDeveloperTools: "never",
  defaultHttpClient: { targetKey: "shell", clientKey: "curl" },
});
