{{- define "mmsmo-gateway.name" -}}
{{- if contains "mmsmo-gateway" .Release.Name }}{{ .Release.Name }}{{ else }}{{ .Release.Name }}-mmsmo-gateway{{ end }}
{{- end }}

{{- define "mmsmo-gateway.image" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end }}

{{- /* Of the pods that the gateway runs in. */}}
{{- define "mmsmo-gateway.selectorLabels" -}}
{{- if eq .Values.mode "sidecar" }}
{{- toYaml .Values.sidecar.podLabels }}
{{- else -}}
app.kubernetes.io/name: mmsmo-gateway
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}
{{- end }}

{{- define "mmsmo-gateway.labels" -}}
app.kubernetes.io/name: mmsmo-gateway
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{- /* Ends with what is missing, before anything is installed that would not start or that anybody could post to. */}}
{{- define "mmsmo-gateway.check" -}}
{{- if and (eq .Values.mode "sidecar") (not .Values.sidecar.podLabels) }}
{{- fail "sidecar.podLabels: needed in mode sidecar, lest Services and policies are for every pod" }}
{{- end }}
{{- if not (contains "[[endpoint]]" .Values.config) }}
{{- fail "config: it needs an [[endpoint]] with its checks, else anybody may post" }}
{{- end }}
{{- if and (eq .Values.mode "statefulset") (not (contains "[[identity]]" .Values.config)) }}
{{- fail "config: it needs an [[identity]], else anybody may subscribe" }}
{{- end }}
{{- if and (not .Values.http.tlsSecret) (not (and .Values.ingress.enabled .Values.networkPolicy.enabled)) }}
{{- fail "http.tlsSecret: needed unless ingress.enabled and networkPolicy.enabled, lest secrets travel unencrypted" }}
{{- end }}
{{- if and (eq .Values.mode "statefulset") (not .Values.grpc.tlsSecret) }}
{{- fail "grpc.tlsSecret: needed in mode statefulset, lest messages travel unencrypted" }}
{{- end }}
{{- end }}
