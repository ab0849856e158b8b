{{- define "faultwatch.name" -}}
{{ .Release.Name | trunc 50 | trimSuffix "-" }}
{{- end }}

{{- define "faultwatch.selector" -}}
app.kubernetes.io/name: faultwatch
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .part }}
{{- end }}

{{- define "faultwatch.labels" -}}
app.kubernetes.io/name: faultwatch
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}

{{- define "faultwatch.image" -}}
{{ .Values.image.repository }}{{ if .Values.image.digest }}@{{ .Values.image.digest }}{{ else }}:{{ .Values.image.tag }}{{ end }}
{{- end }}

{{/* What both parts are told: settings of the chart, then those of the installation. */}}
{{- define "faultwatch.environment" -}}
- { name: FAULTWATCH_ROLE, value: {{ .part }} }
- { name: FAULTWATCH_DATABASE_URL, value: "postgresql:///?service=faultwatch" }
- { name: FAULTWATCH_LAKE_URL, value: {{ .root.Values.lakeUrl | quote }} }
- { name: FAULTWATCH_SECRET_KEY_FILE, value: /etc/faultwatch/secrets/secret.key }
- { name: FAULTWATCH_BASE_URL, value: {{ printf "https://%s" .root.Values.ingress.host | quote }} }
{{- if not (hasKey .root.Values.settings "trusted_proxies") }}
- { name: FAULTWATCH_TRUSTED_PROXIES, value: {{ join "," .root.Values.networkPolicy.from | quote }} }
{{- end }}
- { name: PGSERVICEFILE, value: /etc/faultwatch/secrets/pg_service.conf }
{{- range $name, $value := .root.Values.settings }}
- { name: {{ printf "FAULTWATCH_%s" (upper $name) }}, value: {{ toString $value | quote }} }
{{- end }}
{{- end }}

{{- define "faultwatch.pod" -}}
serviceAccountName: {{ .Values.serviceAccount.name }}
automountServiceAccountToken: false
# A service named faultwatch would else set FAULTWATCH_PORT to a tcp:// address.
enableServiceLinks: false
securityContext:
  runAsNonRoot: true
  runAsUser: 10001
  runAsGroup: 10001
  fsGroup: 10001
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile: { type: RuntimeDefault }
{{- with .Values.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- define "faultwatch.container" -}}
image: {{ include "faultwatch.image" .root | quote }}
imagePullPolicy: {{ .root.Values.image.pullPolicy }}
args: [serve]
env: {{- include "faultwatch.environment" . | nindent 2 }}
ports:
  - { name: http, containerPort: 8765 }
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: { drop: [ALL] }
# The first start compiles the loop and one after a power cut replays the log: ten minutes.
startupProbe:
  httpGet: { path: /healthz, port: http }
  periodSeconds: 5
  failureThreshold: 120
livenessProbe:
  httpGet: { path: /healthz, port: http }
  periodSeconds: 20
  timeoutSeconds: 5
  failureThreshold: 6
{{- end }}

{{- define "faultwatch.secretsVolume" -}}
name: secrets
secret:
  secretName: {{ include "faultwatch.name" . }}
  # Root's, lent to the group of the pod for reading.
  defaultMode: 0440
{{- end }}
