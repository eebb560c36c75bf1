{{/* Rules that several policies have. */}}

{{- define "rekindle.egressNames" -}}
- ports:
    - {port: 53, protocol: UDP}
    - {port: 53, protocol: TCP}
  to: {{- toYaml .Values.networkPolicies.dnsTo | nindent 4 }}
{{- end }}

{{/* Providers on 443, an S3 of one's own on its port, and what belongs to this release. */}}
{{- define "rekindle.egressProviders" -}}
- ports:
    - {port: 443, protocol: TCP}
    {{- with .Values.networkPolicies }}
    {{- range concat (default list .workerEgress.ports) (default list .programPorts) | uniq }}
    - {port: {{ . }}, protocol: TCP}
    {{- end }}
    {{- end }}
{{- if .Values.tryout.enabled }}
- to:
    - podSelector:
        matchLabels: {{- include "rekindle.selector" (list . "tryout") | nindent 10 }}
{{- end }}
{{- end }}

{{- define "rekindle.egressApiServer" -}}
{{- with .Values.networkPolicies.apiServer -}}
- ports:
    {{- range .ports }}
    - {port: {{ . }}, protocol: TCP}
    {{- end }}
  to:
    {{- range .cidrs }}
    - ipBlock: {cidr: {{ . | quote }}}
    {{- end }}
{{- end }}
{{- end }}

{{/* Who may come in on a port: these namespaces, all when none is named, and `helm test`; call with (list $ port namespaces). */}}
{{- define "rekindle.ingressFrom" -}}
{{- $root := index . 0 -}}
- ports:
    - {port: {{ index . 1 }}, protocol: TCP}
  {{- with index . 2 }}
  from:
    {{- range . }}
    - namespaceSelector:
        matchLabels: {{- toYaml . | nindent 10 }}
    {{- end }}
    - namespaceSelector:
        matchLabels: {kubernetes.io/metadata.name: {{ $root.Release.Namespace }}}
      podSelector:
        matchLabels: {{- include "rekindle.selector" (list $root "test") | nindent 10 }}
  {{- end }}
{{- end }}
