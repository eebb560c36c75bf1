{{/* Rules that several policies have. */}}

{{/* Names are asked of whatever serves them in the cluster, wherever it runs. */}}
{{- define "rekindle.egressNames" -}}
- ports:
    - {port: 53, protocol: UDP}
    - {port: 53, protocol: TCP}
{{- end }}

{{/* Providers on 443, an S3 of one's own on its port, and what belongs to this release. */}}
{{- define "rekindle.egressProviders" -}}
- ports:
    - {port: 443, protocol: TCP}
    {{- range .Values.networkPolicies.workerEgress.ports }}
    - {port: {{ . }}, protocol: TCP}
    {{- end }}
{{- if .Values.tryout.enabled }}
- to:
    - podSelector:
        matchLabels: {{- include "rekindle.selector" (list . "tryout") | nindent 10 }}
{{- end }}
{{- end }}

{{/* The API server: its Service answers on 443, the server itself mostly on 6443. */}}
{{- define "rekindle.egressApiServer" -}}
- ports:
    - {port: 443, protocol: TCP}
    - {port: 6443, protocol: TCP}
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
